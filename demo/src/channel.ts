/*
 * How the nodes hear of each other: pub/sub on the demo's own Redis, or nothing at all where there is one node.
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'

import type { Broadcast } from './messages.js'

/** What is sent by one node and heard by all of them. */
export interface Channel {
  /** Here it is heard at once, whatever becomes of Redis. */
  publish(message: Broadcast): void
  readonly onMessage: (listener: (message: Broadcast) => void) => void
}

/** What a channel needs of a Redis client. */
export interface PubSub {
  publish(topic: string, message: string): Promise<unknown>
  subscribe(topic: string, listener: (message: string) => void): Promise<void>
}

/** A channel with one end. */
export function localChannel(): Channel {
  const heard = new EventEmitter<{ message: [Broadcast] }>()
  return {
    publish: (message) => void heard.emit('message', message),
    onMessage: (listener) => void heard.on('message', listener),
  }
}

/** Messages that Redis has not taken yet. More are dropped: a report comes every second, and nothing may pile up. */
const mostUnanswered = 100

/** A channel between all nodes that use the same topic. Subscribing takes a connection of its own. */
export async function redisChannel(client: PubSub, subscriber: PubSub, topic: string): Promise<Channel> {
  const here = localChannel()
  const self = randomUUID()
  let unanswered = 0

  // Only nodes can publish on it, so what comes in is what `publish` has sent.
  await subscriber.subscribe(topic, (text) => {
    const { from, message } = JSON.parse(text) as { from: string; message: Broadcast }
    if (from !== self) here.publish(message)
  })

  function done(): void {
    unanswered -= 1
  }

  return {
    onMessage: here.onMessage,
    publish(message) {
      here.publish(message)
      if (unanswered >= mostUnanswered) return
      unanswered += 1
      // A lost message is not reported here: the client's own `error` event says why.
      client.publish(topic, JSON.stringify({ from: self, message })).then(done, done)
    },
  }
}
