/*
 * The monitor: all sessions and sockets of all nodes, to watch and to act on.
 */
import type { ConnectionListener, SessionContext } from 'ws-session-bridge'

import { History } from './history.js'
import { hashOf, pathOf } from './identity.js'
import type { EverywhereSummary } from './messages.js'
import type { Nodes } from './nodes.js'
import type { BannedUsers } from './session-backend.js'
import { isForEverywhere, parseCommand, runCommand, runEverywhere } from './admin-commands.js'
import type { Outage } from './outage.js'
import { send, textOf } from './wire.js'

export const monitorPath = '/monitor'

/** However much happens, a page is told this often at most. */
const tellEveryMs = 250

export interface Monitor {
  readonly onConnection: ConnectionListener
  close(): void
}

/** `outage` is there where Redis is the demo's own, so that it can be stopped. */
export function createMonitor(nodes: Nodes, banned: BannedUsers, outage: Outage | undefined): Monitor {
  const { bridge, channel } = nodes
  const history = new History(nodes)
  /** The monitors, and the newest sample that each has. */
  const newest = new Map<SessionContext, number>()
  let soon: NodeJS.Timeout | undefined
  let everywhere: EverywhereSummary | undefined
  let isAsking = false

  /* Every node answers for its own sockets. One question at a time, and only while an admin looks. */
  async function askEverywhere(): Promise<void> {
    if (isAsking || newest.size === 0) return
    isAsking = true
    const { count, nodes: answered, complete, connections } = await bridge.everywhere.connections()
    isAsking = false
    everywhere = {
      connections: count,
      users: new Set(connections.map(({ user }) => user)).size,
      nodes: answered,
      complete,
    }
  }

  /* Redis may be unavailable: then nothing was done, and the administrators should know. */
  function noticeFailure(work: Promise<void>): void {
    work.catch((error: unknown) => {
      const text = error instanceof Error ? error.message : 'The command could not be run.'
      for (const context of newest.keys()) send(context, { type: 'notice', text: `${nodes.name}: ${text}` })
    })
  }

  function tell(context: SessionContext): void {
    const samples = history.since(newest.get(context) ?? 0)
    newest.set(context, samples.at(-1)?.at ?? newest.get(context) ?? 0)
    const you = hashOf(context.sessionID)
    send(context, { type: 'state', you, nodes: nodes.known(), samples, canStopRedis: outage !== undefined, everywhere })
  }

  nodes.on('report', () => {
    soon ??= setTimeout(() => {
      soon = undefined
      for (const context of newest.keys()) tell(context)
      void askEverywhere()
    }, tellEveryMs).unref()
  })

  channel.onMessage((message) => {
    if (message.kind !== 'command') return
    noticeFailure(runCommand(bridge, message.command))
  })

  function onConnection(...[ws, , context]: Parameters<ConnectionListener>): void {
    tell(context)
    context.once('end', () => newest.delete(context))

    // No handler here checks the role. A socket whose session has lost it is closed, and what it had sent before reaches no
    // listener: the bridge sees to both.
    ws.on('message', (data) => {
      const message = parsed(textOf(data))
      if (isStopRedis(message)) {
        outage?.start(context, (probes, over) => {
          for (const monitor of newest.keys()) send(monitor, { type: 'outage', probes, over })
        })
        return
      }
      const command = parseCommand(message)
      if (command === undefined) return
      if (isForEverywhere(command)) return noticeFailure(runEverywhere(bridge, banned, command))
      const id = command.target === 'others' ? hashOf(context.sessionID) : command.id
      channel.publish({ kind: 'command', command: { ...command, id } })
    })
  }

  return {
    onConnection,
    close() {
      history.close()
      clearTimeout(soon)
    },
  }
}

/** Who may connect, and stay. Asked at the handshake and whenever a session changes; the handshake's URL is there both times. */
export function mayConnect(
  { user, role }: SessionContext['session'],
  roomPath: string,
  url: string,
  banned: BannedUsers,
): boolean | Promise<boolean> {
  if (user === undefined) return false
  const isBanned = banned.has(user)
  if (isBanned instanceof Promise) return isBanned.then((yes) => !yes && mayUse(role, roomPath, url))
  return !isBanned && mayUse(role, roomPath, url)
}

function mayUse(role: string | undefined, roomPath: string, url: string): boolean {
  // The room is for every user who has logged in. Whatever is not the room takes the role: what is forgotten here stays shut.
  return pathOf(url) === roomPath || role === 'admin'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isStopRedis(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'action' in message && message.action === 'stop-redis'
}
