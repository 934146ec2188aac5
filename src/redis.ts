/**
 * Sessions in Redis of which every process hears every change, and a channel on Redis for any other store.
 *
 * @module ws-session-bridge/redis
 */
export { redisChannel } from './channel/redis-channel.js'
export type { RedisChannelOptions } from './channel/redis-channel.js'
export type { RedisChannelClient } from './channel/redis-client.js'
export { redisLiveStore } from './redis/redis-live-store.js'
export type { ConnectRedisStore } from './redis/connect-redis-store.js'
export type { RedisLiveClient, RedisLiveStoreOptions } from './redis/redis-live-store.js'
export type { Channel } from './channel/channel.js'
export type { LiveStore, ReplaceResult, StoredSession } from './store/live-store.js'
