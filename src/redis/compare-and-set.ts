/*
 * Writing a key only if it still holds what is expected, by a script.
 */
import { createHash } from 'node:crypto'

import type { KeyCommands } from './deployment.js'

/** What became of a write: done, no such key, or the value that is there instead. */
export type WriteResult = 'replaced' | 'gone' | { readonly current: string }

/** KEEPTTL: whoever moves an expiry says so by a touch. XX is for a key that expires between the two commands. */
const script = `
local current = redis.call('GET', KEYS[1])
if not current then return false end
if current ~= ARGV[1] then return current end
if not redis.call('SET', KEYS[1], ARGV[2], 'XX', 'KEEPTTL') then return false end
return 1`

const digest = createHash('sha1').update(script).digest('hex')

/** @throws Redis' own error (rejects), such as NOPERM where scripts are forbidden. */
export async function compareAndSet(
  client: KeyCommands,
  key: string,
  expected: string,
  next: string,
): Promise<WriteResult> {
  const call = { keys: [key], arguments: [expected, next] }
  const reply = await client.evalSha(digest, call).catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return client.eval(script, call)
    throw error
  })
  if (reply === 1) return 'replaced'
  return typeof reply === 'string' && reply !== '' ? { current: reply } : 'gone'
}

/** Whether the answer to a script means that no script will ever be let through. */
export function areScriptsForbidden(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^(NOPERM|ERR unknown command|ERR .*(not allowed|not supported|disabled))/i.test(error.message)
  )
}
