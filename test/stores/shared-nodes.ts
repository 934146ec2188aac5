// several processes on one store, started and told what to do.
import type { ChildProcess } from 'node:child_process'
import cluster from 'node:cluster'
import { join } from 'node:path'
import { MemoryStore } from 'express-session'
import { createSessionBridge } from 'ws-session-bridge'
import { clusterChannel } from 'ws-session-bridge/cluster'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { compiled, forked } from '../support/forked.js'
import { listenTo } from '../support/reports.js'
import type { Done, Order, SharedNode } from './shared-node.js'

let script: string | undefined

/** Once for a test file, in a `beforeAll`. */
export function compileSharedNode(): void {
  script ??= join(compiled('test/stores', 'test/support'), 'test/stores/shared-node.js')
}

export type Node = Awaited<ReturnType<typeof startNode>>

export async function startNodes(count: number, settings: SharedNode): Promise<Node[]> {
  return await Promise.all(Array.from({ length: count }, () => startNode(settings)))
}

async function startNode(settings: SharedNode) {
  if (script === undefined) throw new Error('Call compileSharedNode() before.')
  const { process, first } = await (settings.sharing === 'clusterChannel' ? worker : forked)(script, settings)
  const reader = createSessionBridge({ session: { store: new MemoryStore(), secret: 'a secret', resave: false } })
  return {
    process,
    heard: listenTo(process),
    open: (sessionID: string) => open(`ws://127.0.0.1:${Number(first)}/`, { cookie: reader.signedCookie(sessionID) }),
    /** Resolves to when it began with each of the sessions. */
    async tell(order: Order): Promise<ReadonlyMap<string, number>> {
      const answer = answerOf(process)
      process.send(order)
      const { begun, error } = await answer
      if (error !== undefined) throw new Error(error)
      return new Map(begun)
    },
  }
}

function answerOf(process: ChildProcess): Promise<Done> {
  return new Promise((resolve) => {
    const listener = (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('begun' in message)) return
      process.off('message', listener)
      resolve(message as Done)
    }
    process.on('message', listener)
  })
}

/** A worker of node:cluster, whose primary this process is. */
async function worker(exec: string, settings: SharedNode) {
  clusterChannel.relay()
  cluster.setupPrimary({ exec, args: [JSON.stringify(settings)], execArgv: [] })
  const { process } = cluster.fork()
  atEnd(() => process.kill('SIGKILL'))
  // Its channel may have said something before, in the same breath.
  const first = await new Promise((resolve) => {
    process.on('message', (message) => {
      if (typeof message === 'number') resolve(message)
    })
  })
  return { process, first }
}
