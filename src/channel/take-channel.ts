/*
 * Whose a channel is: one bridge's, for good.
 */
import type { Channel } from './channel.js'

/* Not a mark on the channel: an app's own may be frozen. */
const taken = new WeakSet<Channel>()

/**
 * Takes a channel for a bridge. A second one would leave the first without the others' word, and each would close it for both.
 *
 * @param option which one of the bridge's it is from
 * @throws {TypeError} for a channel that a bridge has taken, closed or not.
 */
export function takeChannel(channel: Channel, option: 'channel' | 'live'): void {
  if (!taken.has(channel)) {
    taken.add(channel)
    return
  }
  const own = option === 'channel' ? '`channel: redisChannel(client)`' : '`live: redisLiveStore(store)`'
  const given = option === 'channel' ? 'this channel' : 'the channel of this LiveStore'
  throw new TypeError(
    `Option \`${option}\`: ${given} belongs to another bridge, also after that one is closed. Make one for each, such as ${own}.`,
  )
}
