import { beforeAll } from 'vitest'
import { startRedisServer, type RedisServer } from '../support/redis.js'
import { describeStore } from './store-contract.js'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer()
})
const server = () => Promise.resolve(redis.port)

describeStore('connect-redis 7 on redis 4', { server })
describeStore('connect-redis 8 on redis 5', { server })
describeStore('connect-redis 8 on ioredis', { server })
describeStore('connect-redis 9 on redis 6', { server })
describeStore('connect-redis 9 on redis 6 with redisLiveStore', { server })
