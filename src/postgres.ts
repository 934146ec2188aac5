/**
 * Sessions of connect-pg-simple of which every process hears every change, and a channel on PostgreSQL for any other store.
 *
 * @module ws-session-bridge/postgres
 */
export { postgresChannel } from './channel/postgres-channel.js'
export type { PostgresChannelOptions } from './channel/postgres-channel.js'
export type { PostgresClient, PostgresNotification, PostgresResult } from './channel/postgres-client.js'
export { postgresLiveStore } from './postgres/postgres-live-store.js'
export type { PostgresLiveStoreOptions } from './postgres/postgres-live-store.js'
export type { PostgresPool } from './postgres/session-table.js'
export { postgresTrigger } from './postgres/postgres-trigger.js'
export type { PostgresTableOptions } from './postgres/table-name.js'
export type { Channel } from './channel/channel.js'
export type { LiveStore, ReplaceResult, StoredSession } from './store/live-store.js'
