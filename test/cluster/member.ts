// a worker of node:cluster with channels on it: what it is told it does, and what it hears it tells.
import { clusterChannel } from '../../src/cluster.js'

export type Order =
  | { readonly order: 'open'; readonly name?: string }
  | { readonly order: 'publish'; readonly message: string; readonly name?: string; readonly timeoutMs?: number }
  | { readonly order: 'idle' }

export type Heard =
  | { readonly heard: 'ready' | 'gap' | 'published' }
  | { readonly heard: 'message'; readonly message: string }
  | { readonly heard: 'failed'; readonly code: unknown; readonly message: string }

const tell = (heard: Heard) => process.send?.(heard)
// What keeps the process alive until it is to end by itself.
const alive = setInterval(() => undefined, 60_000)

const follow = (message: Order) => {
  if (message.order === 'open') {
    clusterChannel(message.name === undefined ? {} : { name: message.name }).subscribe(
      (heard) => tell({ heard: 'message', message: heard }),
      () => tell({ heard: 'gap' }),
    )
  }
  if (message.order === 'publish') {
    const { name, timeoutMs } = message
    clusterChannel({ name, timeoutMs })
      .publish(message.message)
      .then(
        () => tell({ heard: 'published' }),
        (error: unknown) => {
          const { code, message: text } = error as Error & { code?: unknown }
          tell({ heard: 'failed', code, message: text })
        },
      )
  }
  if (message.order === 'idle') {
    clearInterval(alive)
    process.off('message', follow)
  }
}
process.on('message', follow)
tell({ heard: 'ready' })
