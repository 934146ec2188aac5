import { describe, expect, it } from 'vitest'
import { announceChanges } from '../../src/channel/announce-changes.js'
import { clusterChannel } from '../../src/channel/cluster-channel.js'
import { postgresChannel } from '../../src/channel/postgres-channel.js'
import { redisChannel } from '../../src/channel/redis-channel.js'
import { postgresLiveStore } from '../../src/postgres/postgres-live-store.js'
import { postgresTrigger } from '../../src/postgres/postgres-trigger.js'
import { redisLiveStore } from '../../src/redis/redis-live-store.js'

const store = { destroy() {} }
const pool = { query() {} }

describe('what is no object of options', () => {
  it.each<[string, (options: never) => unknown]>([
    ['announceChanges', (options) => announceChanges(store as never, options)],
    ['clusterChannel', (options) => clusterChannel(options)],
    ['postgresChannel', (options) => postgresChannel(() => ({}) as never, options)],
    ['redisChannel', (options) => redisChannel({} as never, options)],
    ['redisLiveStore', (options) => redisLiveStore({} as never, options)],
    ['postgresLiveStore', (options) => postgresLiveStore(pool as never, options)],
    ['postgresTrigger', (options) => postgresTrigger(options)],
  ])('is a TypeError of %s that says what to pass', (method, call) => {
    for (const options of [null, 7, 'name', /name/, ['name'], () => 'name']) {
      expect(() => call(options as never), String(options)).toThrow(TypeError)
      expect(() => call(options as never), String(options)).toThrow(new RegExp(`^${method}: .*{|^${method}: .*=>`))
    }
  })
})
