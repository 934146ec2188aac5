/*
 * The door `ws-session-bridge/redis`: sessions that connect-redis keeps.
 */
export { redisLiveStore } from './redis/redis-live-store.js'
export type { ConnectRedisStore } from './redis/connect-redis-store.js'
export type { RedisLiveStoreOptions } from './redis/redis-live-store.js'
export type { LiveStore, ReplaceResult, StoredSession } from './store/live-store.js'
