import { once } from 'node:events'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { compiled, forked } from '../support/forked.js'
import { startPostgresServer } from '../support/postgres.js'
import { redisUrl } from '../support/redis.js'
import type { Kind } from './listening-process.js'

let script: string
beforeAll(() => {
  script = join(compiled('test/channel'), 'test/channel/listening-process.js')
})

describe('an open channel', () => {
  // That of node:cluster: test/cluster.
  it.each<Kind>(['redis', 'ioredis', 'pg'])('with a client of %s lets the process exit by itself', async (kind) => {
    const url = kind === 'pg' ? (await startPostgresServer()).url : redisUrl()
    const { process } = await forked(script, { kind, url })
    if (process.exitCode === null) await once(process, 'exit')
    expect(process.exitCode).toBe(0)
  })
})
