// channels between members of one process, which a test can listen to, cut and abuse.
import type { Channel } from '../../src/channel/channel.js'

interface Member {
  onMessage?: (message: string) => void
  onGap?: () => void
  /** Hears nothing, and cannot tell anything, as a process that is cut off. */
  isCut: boolean
  /** Hears nothing, though it is told that all is well: a process that is stopped. */
  isStopped: boolean
}

/** Where its channels meet. */
export function createHub() {
  const members = new Set<Member>()
  const traffic: string[] = []
  const tell = (message: string) => {
    traffic.push(message)
    // As of a network: later.
    setImmediate(() => {
      for (const { isCut, isStopped, onMessage } of members) if (!isCut && !isStopped) onMessage?.(message)
    })
  }
  return {
    /** All that was told. */
    traffic,
    /** Says anything, as whoever can reach the server may. */
    say: tell,
    connect(timeoutMs = 2_000) {
      const member: Member = { isCut: false, isStopped: false }
      members.add(member)
      let isClosed = false
      const channel: Channel & { timeoutMs: number } = {
        timeoutMs,
        async publish(message) {
          if (member.isCut || isClosed) throw new Error('No way')
          if (!member.isStopped) tell(message)
        },
        subscribe(onMessage, onGap) {
          Object.assign(member, { onMessage, onGap })
          setImmediate(onGap)
        },
        async close() {
          isClosed = true
          members.delete(member)
        },
      }
      return { channel, member, gap: () => member.onGap?.() }
    },
  }
}

export type Hub = ReturnType<typeof createHub>
