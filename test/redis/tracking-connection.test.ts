import { createClient } from 'redis'
import { expect, it } from 'vitest'
import { CallTimeouts } from '../../src/internal/call-timeouts.js'
import { TrackingConnection } from '../../src/redis/tracking-connection.js'
import { atEnd } from '../support/at-end.js'
import { redisUrl } from '../support/redis.js'

const ignore = () => undefined

it('a connection that is no longer to listen passes on nothing that was on its way', async () => {
  const client = createClient({ url: redisUrl() })
  await client.connect()
  atEnd(() => client.destroy())
  const limits = { timeoutMs: 2_000, deadlines: new CallTimeouts(2_000) }
  const connection = new TrackingConnection(
    { ...limits, client: client },
    { onInvalidate: ignore, onMissed: ignore, onRefused: ignore, onTracked: ignore },
  )
  atEnd(() => connection.close())
  const name = `channel-${Math.random().toString(36)}`
  const heard: string[] = []
  await new Promise<void>((resolve) => {
    connection.listen({
      name,
      onMessage: (message) => {
        heard.push(message)
        // In a Cluster, another node is listened to from here on, and passes on the same messages.
        connection.listen(undefined)
      },
      onGap: resolve,
      onRefused: ignore,
    })
  })
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.publish(name, String(index))))
  await connection.ask((own) => own.ping())
  expect(heard).toEqual(['0'])
})
