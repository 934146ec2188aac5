// What the compiler says of a Socket.IO server behind a bridge.
import { createServer } from 'node:http'
import { MemoryStore } from 'express-session'
import { Server, type DefaultEventsMap, type Namespace } from 'socket.io'
import { describe, expectTypeOf, it } from 'vitest'
import { createSessionBridge, type SessionContext, type SessionSnapshot } from 'ws-session-bridge'
import { attachSocketIO, type SocketData, type SocketIOServer } from 'ws-session-bridge/socket.io'

const session = { store: new MemoryStore(), secret: 'a secret' }

interface ClientEvents {
  whoami: (answer: (user: string | undefined) => void) => void
}
interface ServerEvents {
  news: (text: string) => void
}
type Own = SocketData & { nickname?: string }

describe('socket.data', () => {
  it('has the context, and what a user keeps there', () => {
    const io = new Server<ClientEvents, ServerEvents, DefaultEventsMap, Own>()
    attachSocketIO(createSessionBridge({ session }), io)
    io.on('connection', (socket) => {
      expectTypeOf(socket.data.context).toEqualTypeOf<SessionContext>()
      expectTypeOf(socket.data.context.session).toEqualTypeOf<SessionSnapshot>()
      expectTypeOf(socket.data.nickname).toEqualTypeOf<string | undefined>()
      // @ts-expect-error -- set by the bridge alone
      socket.data.context = undefined
    })
  })

  it('may have no context where anonymous requests are accepted', () => {
    const io = new Server<ClientEvents, ServerEvents, DefaultEventsMap, SocketData<SessionContext | undefined>>()
    attachSocketIO(createSessionBridge({ session, anonymous: 'accept' }), io)
    io.on('connection', (socket) => {
      expectTypeOf(socket.data.context).toEqualTypeOf<SessionContext | undefined>()
    })
  })
})

describe('attachSocketIO', () => {
  it('takes a server of any events and data', () => {
    expectTypeOf<Server>().toExtend<SocketIOServer>()
    expectTypeOf<Server<ClientEvents, ServerEvents, DefaultEventsMap, Own>>().toExtend<SocketIOServer>()
  })

  it('takes nothing else', () => {
    expectTypeOf<Namespace>().not.toExtend<SocketIOServer>()
    expectTypeOf(createServer()).not.toExtend<SocketIOServer>()
  })
})
