// those that the session's role may send are carried out.
// #region docs
import type { ConnectionListener, SessionSnapshot } from 'ws-session-bridge'

interface Message {
  type: string
  text: string
}

/** Which roles may send what. Whatever is not listed is denied. */
const allowedRoles: Readonly<Record<string, readonly string[]>> = { post: ['member', 'staff'], ban: ['staff'] }

export function createRoom(carryOut: (message: Message, by: SessionSnapshot) => void): ConnectionListener {
  return (ws, _request, context) => {
    ws.on('message', (data: Buffer) => {
      const message = messageIn(data)
      // The session of this very moment, not that of the handshake.
      const { role = '' } = context.session
      const isAllowed = message !== undefined && Object.hasOwn(allowedRoles, message.type)
      if (isAllowed && allowedRoles[message.type]?.includes(role)) carryOut(message, context.session)
      else ws.send(JSON.stringify({ type: 'denied' }))
    })
  }
}

function messageIn(data: Buffer): Message | undefined {
  try {
    const { type, text } = JSON.parse(data.toString()) as Partial<Record<string, unknown>>
    return typeof type === 'string' && typeof text === 'string' ? { type, text } : undefined
  } catch {
    return undefined
  }
}
// #endregion
