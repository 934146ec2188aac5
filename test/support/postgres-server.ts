// a real PostgreSQL on a free port of its own, without passwords, with the superuser `postgres`.
import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runAs, startDatabase, type DatabaseServer } from './database-process.js'
import { freePort } from './redis-server.js'
import { folderOf, serverUser, type ServerUser } from './server-user.js'

export interface PostgresServer extends DatabaseServer {
  /** `postgres://postgres@127.0.0.1:…/postgres` */
  readonly url: string
  /** Ends it as a crash would, its connections included. What was committed is there after a restart. */
  crash(): Promise<void>
  /** Starts it again, on the same port and data; to be stopped by itself. */
  restart(): Promise<PostgresServer>
}

/** @param encoding of its databases */
export async function spawnPostgresServer({ encoding = 'UTF8' } = {}): Promise<PostgresServer> {
  const bin = binaries()
  const user = serverUser(['postgres', 'nobody'])
  const folder = await folderOf(user, 'postgres')
  await runAs(user, join(bin, 'initdb'), [
    ...['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', encoding, '--locale=C', '--no-sync'],
  ])
  return await startOn({ bin, user, folder, port: await freePort() })
}

interface Place {
  readonly bin: string
  readonly user: ServerUser
  readonly folder: string
  readonly port: number
}

async function startOn(place: Place): Promise<PostgresServer> {
  const { bin, user, folder, port } = place
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
    keepsFolder: true,
  })
  return {
    ...server,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async crash() {
      server.kill('SIGQUIT')
      await server.gone
    },
    restart: () => startOn(place),
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
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
