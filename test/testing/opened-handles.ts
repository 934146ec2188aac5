// the servers, connections and pipes that the process has opened since.
import { createHook } from 'node:async_hooks'
import { atEnd } from '../support/at-end.js'

export function watchHandles(): readonly string[] {
  const opened: string[] = []
  const hook = createHook({
    init(_asyncID, type) {
      if (/^(TCP|PIPE|TLS)\w*WRAP$/.test(type)) opened.push(type)
    },
  }).enable()
  atEnd(() => hook.disable())
  return opened
}
