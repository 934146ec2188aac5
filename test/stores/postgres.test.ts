import { beforeAll } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { spawnPostgresServer, type PostgresServer } from '../support/postgres-server.js'
import { describeStore } from './store-contract.js'

let postgres: PostgresServer
beforeAll(async () => {
  postgres = await spawnPostgresServer()
  atEnd(() => postgres.stop())
})
const server = () => Promise.resolve(postgres.port)

describeStore('connect-pg-simple', { server })
describeStore('connect-session-knex on PostgreSQL', { server })
