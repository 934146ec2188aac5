// a process that listens on a channel, closes nothing of it, and has nothing else to do.
import { Redis } from 'ioredis'
import pg from 'pg'
import { createClient } from 'redis'
import { postgresChannel } from '../../src/postgres.js'
import { redisChannel } from '../../src/redis.js'

export type Kind = 'redis' | 'ioredis' | 'pg'

const { kind, url } = JSON.parse(process.argv[2] ?? '') as { kind: Kind; url: string }

async function open() {
  if (kind === 'pg') return { channel: postgresChannel(() => new pg.Client(url)), closeClient: () => undefined }
  if (kind === 'ioredis') {
    const client = new Redis(url)
    return {
      channel: redisChannel(client),
      closeClient: () => {
        client.disconnect()
      },
    }
  }
  const client = await createClient({ url }).connect()
  return {
    channel: redisChannel(client),
    closeClient: () => {
      client.destroy()
    },
  }
}

const { channel, closeClient } = await open()
// A channel that is being opened keeps no process alive, either.
const alive = setInterval(() => undefined, 60_000)
channel.subscribe(
  () => undefined,
  () => {
    clearInterval(alive)
    // The app's own client is the app's to close.
    closeClient()
    process.send?.('listening')
    process.disconnect()
  },
)
