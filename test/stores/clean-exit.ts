// whether a process with a bridge on a store exits by itself.
import { once } from 'node:events'
import { join } from 'node:path'
import { atEnd } from '../support/at-end.js'
import { compiled, forked } from '../support/forked.js'
import type { Place, StoreName } from './open-store.js'

let script: string | undefined

/** Once for a test file, in a `beforeAll`: it takes a moment in which nothing else runs. */
export function compileExitingProcess(): void {
  script ??= join(compiled('test/stores', 'test/support'), 'test/stores/exiting-process.js')
}

/** The exit code of such a process once it has closed everything; rejects if it does not exit then. */
export async function exitOf(name: StoreName, place: Place): Promise<unknown> {
  if (script === undefined) throw new Error('Call compileExitingProcess() before.')
  const { process } = await forked(script, { name, place })
  const waiting = new AbortController()
  const timer = setTimeout(() => {
    waiting.abort(new Error('The process did not exit.'))
  }, 10_000)
  atEnd(() => {
    clearTimeout(timer)
  })
  if (process.exitCode !== null) return process.exitCode
  const [code] = (await once(process, 'exit', { signal: waiting.signal })) as [unknown]
  return code
}
