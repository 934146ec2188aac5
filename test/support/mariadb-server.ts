// a real MariaDB on a free port of its own, without passwords, with an empty database `sessions`.
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runAs, startDatabase, type DatabaseServer } from './database-process.js'
import { freePort } from './redis-server.js'
import { folderOf, serverUser } from './server-user.js'

export async function spawnMariadbServer(): Promise<DatabaseServer> {
  const user = serverUser(['mysql', 'nobody'])
  const folder = await folderOf(user, 'mariadb')
  const port = await freePort()
  await runAs(user, commandOf('mariadb-install-db'), ['--no-defaults', `--datadir=${folder}`, '--skip-test-db'])
  const init = join(folder, 'init.sql')
  await writeFile(init, 'CREATE DATABASE sessions;\n')
  return await startDatabase({
    command: commandOf('mariadbd'),
    args: [
      '--no-defaults',
      `--datadir=${folder}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 'mariadb.sock')}`,
      `--init-file=${init}`,
      '--skip-grant-tables',
      '--innodb-flush-log-at-trx-commit=0',
    ],
    user,
    ready: /ready for connections/,
    port,
    folder,
  })
}

/** Debian keeps the server where only root has it in the PATH. */
function commandOf(name: string): string {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error('The tests need a MariaDB server: npm run setup.')
  return found
}
