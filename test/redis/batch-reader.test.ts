import { describe, expect, it, vi } from 'vitest'
import { StoreUnavailableError } from 'ws-session-bridge'
import { BatchReader } from '../../src/redis/batch-reader.js'
import type { RedisClient } from '../../src/redis/dedicated-client.js'
import { ConnectionLostError } from '../../src/redis/tracking-connection.js'
import { atEnd } from '../support/at-end.js'

/** A connection that answers when it is told to, with the name of the key for its value. */
function startReader(timeoutMs = 60_000) {
  const asked: string[][] = []
  const timed: string[] = []
  const answers: ((error?: Error) => void)[] = []
  const client = {
    mGet: (keys: string[]) => {
      asked.push(keys)
      return new Promise((resolve, reject) => {
        answers.push((error) => {
          if (error) reject(error)
          else resolve(keys.map((key) => (key === 'gone' ? null : key)))
        })
      })
    },
    pTTL: (key: string) => {
      timed.push(key)
      return Promise.resolve(key === 'gone' ? -2 : key === 'forever' ? -1 : 1_000)
    },
  } as unknown as RedisClient
  const reader = new BatchReader({ ask: (send) => send(client) }, timeoutMs)
  atEnd(() => {
    reader.close()
  })
  const answer = async (error?: Error) => {
    await vi.waitUntil(() => answers.length > 0, { timeout: 5_000 })
    answers.shift()!(error)
  }
  return { reader, asked, timed, answer }
}

describe('the reader of batches', () => {
  it('has one batch under way, while the next one collects', async () => {
    const { reader, asked, answer } = startReader()
    const first = [reader.read('a', {}), reader.read('b', {})]
    await vi.waitUntil(() => asked.length > 0, { timeout: 5_000 })
    const second = [reader.read('c', {}), reader.read('d', {})]
    await Promise.resolve()
    expect(asked).toEqual([['a', 'b']])
    await answer()
    await answer()
    expect(asked).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
    expect((await Promise.all([...first, ...second])).map(({ raw }) => raw)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('asks for no more than 200 keys at once', async () => {
    const { reader, asked, answer } = startReader()
    const reads = Array.from({ length: 450 }, (_, index) => reader.read(`key${index}`, {}))
    for (let batch = 0; batch < 3; batch += 1) await answer()
    await Promise.all(reads)
    expect(asked.map(({ length }) => length)).toEqual([200, 200, 50])
  })

  it('asks once for what many want to read, and never answers with what was read before they asked', async () => {
    const { reader, asked, answer } = startReader()
    const early = reader.read('a', {})
    const along = reader.read('a', { withExpiry: true })
    await vi.waitUntil(() => asked.length > 0, { timeout: 5_000 })
    const late = reader.read('a', {})
    await answer()
    expect(await early).toBe(await along)
    expect((await along).expiresAt).toBeGreaterThan(Date.now())
    await answer()
    expect(await late).toMatchObject({ raw: 'a', expiresAt: undefined })
    expect(asked).toEqual([['a'], ['a']])
  })

  it('asks how long a key lasts only for whom wants to know', async () => {
    const { reader, timed, answer } = startReader()
    const reads = [
      reader.read('a', {}),
      reader.read('b', { withExpiry: true }),
      reader.read('forever', { withExpiry: true }),
      reader.read('gone', { withExpiry: true }),
    ]
    await answer()
    const [a, b, forEver, gone] = await Promise.all(reads)
    expect(timed).toEqual(['b', 'forever', 'gone'])
    expect(a).toMatchObject({ raw: 'a', expiresAt: undefined })
    expect(b!.expiresAt! - Date.now()).toBeGreaterThan(900)
    expect(forEver).toMatchObject({ raw: 'forever', expiresAt: Infinity })
    expect(gone).toMatchObject({ raw: null, expiresAt: undefined })
  })

  it('reads again on the next connection what a lost one has not answered', async () => {
    const { reader, asked, answer } = startReader()
    const first = reader.read('a', { withExpiry: true })
    await vi.waitUntil(() => asked.length > 0, { timeout: 5_000 })
    const second = reader.read('a', {})
    await answer(new ConnectionLostError())
    await answer()
    expect((await first).expiresAt).toBeDefined()
    expect(await second).toMatchObject({ raw: 'a' })
  })

  it('fails with the answer of Redis where that is an error, and goes on', async () => {
    const { reader, answer } = startReader()
    const failed = reader.read('a', {})
    await answer(new Error('NOPERM'))
    await expect(failed).rejects.toThrow('NOPERM')
    const read = reader.read('a', {})
    await answer()
    expect(await read).toMatchObject({ raw: 'a' })
  })

  it('keeps no caller waiting beyond the deadline, neither under way nor collecting', async () => {
    const { reader, asked, answer } = startReader(1_000)
    const expected = expect.objectContaining({ reason: expect.any(StoreUnavailableError) as unknown }) as unknown
    const first = reader.read('a', {})
    first.catch(() => undefined)
    await vi.waitUntil(() => asked.length > 0, { timeout: 5_000 })
    expect(await Promise.allSettled([first, reader.read('b', {})])).toEqual([expected, expected])
    const after = reader.read('c', {})
    await answer()
    await answer()
    expect(await after).toMatchObject({ raw: 'c' })
    expect(asked).toEqual([['a'], ['c']])
  })
})
