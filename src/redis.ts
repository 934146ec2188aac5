/*
 * The door `ws-session-bridge/redis`: sessions that connect-redis keeps, and a channel on Redis for any store.
 */
export { redisChannel } from './channel/redis-channel.js'
export type { RedisChannelOptions } from './channel/redis-channel.js'
export type { RedisChannelClient } from './channel/redis-client.js'
export { redisLiveStore } from './redis/redis-live-store.js'
export type { ConnectRedisStore } from './redis/connect-redis-store.js'
export type { RedisLiveStoreOptions } from './redis/redis-live-store.js'
export type { Channel } from './channel/channel.js'
export type { LiveStore, ReplaceResult, StoredSession } from './store/live-store.js'
