/*
 * Writing a key only if it still holds what is expected, by a script.
 */
import { createHash } from 'node:crypto'

import type { RedisClient } from './dedicated-client.js'
import { sendAsking } from './reading.js'

/** What became of a write: done, no such key, or the value that is there instead. */
export type WriteResult = 'replaced' | 'gone' | { readonly current: string }

/** KEEPTTL: only a touch moves the expiry. XX is for a key that expires between the two commands. */
const script = `
local current = redis.call('GET', KEYS[1])
if not current then return false end
if current ~= ARGV[1] then return current end
if not redis.call('SET', KEYS[1], ARGV[2], 'XX', 'KEEPTTL') then return false end
return 1`

const digest = createHash('sha1').update(script).digest('hex')

/**
 * For a tracking connection: at the write Redis forgets who has read the key, so it is read once more.
 *
 * @returns what became of the write, and the value that was read after it.
 * @throws Redis' own error (rejects), such as NOPERM where scripts are forbidden.
 */
export async function compareAndSet(
  client: RedisClient,
  asking: boolean,
  { key, expected, next }: { readonly key: string; readonly expected: string; readonly next: string },
): Promise<{ result: WriteResult; after: string | null }> {
  const call = { keys: [key], arguments: [expected, next] }
  const andRead = (write: () => Promise<unknown>) =>
    Promise.all([sendAsking(client, asking, write), sendAsking(client, asking, () => client.get(key))])
  const [reply, after] = await andRead(() => client.evalSha(digest, call)).catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return andRead(() => client.eval(script, call))
    throw error
  })
  if (reply === 1) return { result: 'replaced', after }
  return { result: typeof reply === 'string' && reply !== '' ? { current: reply } : 'gone', after }
}

/** Whether the answer to a script means that no script will ever be let through. */
export function areScriptsForbidden(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^(NOPERM|ERR unknown command|ERR .*(not allowed|not supported|disabled))/i.test(error.message)
  )
}
