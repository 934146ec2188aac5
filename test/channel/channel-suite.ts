// the facts that hold for every Channel, as tests.
import { describe, expect, it } from 'vitest'
import type { Channel } from '../../src/channel/channel.js'
import { atEnd } from '../support/at-end.js'

export interface ChannelFixture {
  /** One more process' channel, of the same name. */
  readonly connect: () => Channel
  /** One of another name. */
  readonly connectElsewhere: () => Channel
}

/** A channel's listener: what it has heard, and waits. */
export function listenTo(channel: Channel) {
  const messages: string[] = []
  const counted = { gaps: 0 }
  channel.subscribe(
    (message) => {
      messages.push(message)
    },
    () => {
      counted.gaps += 1
    },
  )
  return {
    channel,
    messages,
    gaps: () => counted.gaps,
    /** Resolves when there was one gap more than now. Every opening is one. */
    nextGap: (after = counted.gaps) => expect.poll(() => counted.gaps, { timeout: 20_000 }).toBeGreaterThan(after),
    heard: (message: string) => expect.poll(() => messages, { timeout: 20_000 }).toContain(message),
  }
}

/** The same, when it is open. */
export async function opened(channel: Channel) {
  atEnd(() => channel.close())
  const listener = listenTo(channel)
  await listener.nextGap(0)
  return listener
}

export function describeChannel(name: string, start: () => Promise<ChannelFixture> | ChannelFixture): void {
  describe(`${name}, as a Channel`, () => {
    it('tells every listener what one of them says, once', async () => {
      const { connect } = await start()
      const [one, two, three] = await Promise.all([opened(connect()), opened(connect()), opened(connect())])
      const said = Array.from({ length: 200 }, (_, index) => `message ${index}`)
      await Promise.all(said.map((message) => one.channel.publish(message)))
      // A Cluster's nodes overtake each other.
      for (const { messages } of [two, three]) {
        await expect.poll(() => messages.length, { timeout: 20_000 }).toBe(said.length)
        expect(new Set(messages)).toEqual(new Set(said))
      }
      // Whether it hears itself is its own affair, but not twice.
      expect(new Set(one.messages).size).toBe(one.messages.length)
    })

    it.each([
      ['the empty one', ''],
      ['one of any characters', 'ä 🌍 \u2028 " \\ \n \u0001 %s'],
      ['one of 7,999 bytes', 'x'.repeat(7_999)],
      ['one of 300,000 bytes', 'x'.repeat(300_000)],
      ['one of 100,000 characters that are not ASCII', '🌍'.repeat(50_000)],
    ])('carries a message as it is: %s', async (_, message) => {
      const { connect } = await start()
      const [one, two] = await Promise.all([opened(connect()), opened(connect())])
      await one.channel.publish(message)
      await two.heard(message)
      expect(two.messages).toEqual([message])
    })

    it('takes large messages of several at once', async () => {
      const { connect } = await start()
      const [one, two, three] = await Promise.all([opened(connect()), opened(connect()), opened(connect())])
      const large = (character: string) => Array.from({ length: 5 }, (_, index) => character.repeat(20_000 + index))
      await Promise.all([
        ...large('a').map((message) => one.channel.publish(message)),
        ...large('b').map((message) => two.channel.publish(message)),
      ])
      const heard = () => [...new Set(three.messages)].sort()
      await expect.poll(heard, { timeout: 20_000 }).toEqual([...large('a'), ...large('b')].sort())
      expect(three.messages).toHaveLength(10)
    })

    it('tells on behalf of a process that does not listen', async () => {
      const { connect } = await start()
      const listening = await opened(connect())
      const silent = connect()
      atEnd(() => silent.close())
      await silent.publish('hello')
      await listening.heard('hello')
    })

    it('is not heard under another name', async () => {
      const { connect, connectElsewhere } = await start()
      const [one, two, other] = await Promise.all([opened(connect()), opened(connect()), opened(connectElsewhere())])
      await one.channel.publish('hello')
      await two.heard('hello')
      expect(other.messages).toEqual([])
    })

    it('throws a TypeError for a second listener', async () => {
      const { connect } = await start()
      const { channel } = await opened(connect())
      expect(() => {
        listenTo(channel)
      }).toThrow(TypeError)
    })

    it('is silent when it is closed, also a second time, and rejects what is to be told then', async () => {
      const { connect } = await start()
      const [one, two, three] = await Promise.all([opened(connect()), opened(connect()), opened(connect())])
      await two.channel.close()
      await two.channel.close()
      await one.channel.publish('hello')
      await three.heard('hello')
      expect(two.messages).toEqual([])
      await expect(two.channel.publish('hello')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    })

    it('closes at once, though it has not been used, or is just being opened', async () => {
      const { connect } = await start()
      await connect().close()
      const opening = connect()
      listenTo(opening)
      await opening.close()
    })
  })
}
