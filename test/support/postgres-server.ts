// a real PostgreSQL on a free port of its own, without passwords, with the superuser `postgres`.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runAs, startDatabase, type DatabaseServer } from './database-process.js'
import { freePort } from './redis-server.js'
import { folderOf, serverUser } from './server-user.js'

export interface PostgresServer extends DatabaseServer {
  /** `postgres://postgres@127.0.0.1:…/postgres` */
  readonly url: string
}

export async function spawnPostgresServer(): Promise<PostgresServer> {
  const bin = binaries()
  const user = serverUser(['postgres', 'nobody'])
  const folder = await folderOf(user, 'postgres')
  const port = await freePort()
  await runAs(user, join(bin, 'initdb'), [
    ...['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
  ])
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: 'off',
    log_min_messages: 'log',
  }
  const server = await startDatabase({
    command: join(bin, 'postgres'),
    args: ['-D', folder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    user,
    ready: /database system is ready to accept connections/,
    port,
    folder,
  })
  return { ...server, url: `postgres://postgres@127.0.0.1:${port}/postgres` }
}

/** Debian keeps them beside each other, by version, and out of the PATH. */
function binaries(): string {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((one, other) => Number(other) - Number(one)) : []
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(':')]
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
  if (found === undefined) throw new Error('The tests need a PostgreSQL server: npm run setup.')
  return found
}
