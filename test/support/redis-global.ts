// one Redis server for the whole run, whose address the tests get from redisUrl().
import type { TestProject } from 'vitest/node'
import { spawnRedisServer } from './redis-server.js'

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string
  }
}

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.REDIS_URL
  if (given) {
    project.provide('redisUrl', given)
    return undefined
  }
  const server = await spawnRedisServer()
  project.provide('redisUrl', server.url)
  return () => server.stop()
}
