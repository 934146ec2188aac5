// they do what docs/socket.io.md says of them.
import { once } from 'node:events'
import { io as connect, type Socket } from 'socket.io-client'
import { describe, expect, it, vi } from 'vitest'
import { cookieOf, startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { followSession } from './socket.io-client.js'
import { serveSocketIO } from './socket.io.js'

async function start() {
  const app = await startApp()
  const io = serveSocketIO(app.server, app.bridge)
  atEnd(() => io.engine.close())
  app.app.get('/whoami', async (request, response) => {
    const verdict = await app.bridge.authenticate(request)
    response.sendStatus(verdict.accepted ? 200 : verdict.refusal.status)
  })
  return { app, io }
}

function page(app: App, cookie: string) {
  const socket: Socket = connect(app.url, { forceNew: true, extraHeaders: { cookie }, reconnectionDelay: 1 })
  atEnd(() => socket.disconnect())
  const showLogin = vi.fn()
  const jar = { cookie, renewed: Promise.resolve() }
  const isLoggedIn = async () => {
    await jar.renewed
    return (await app.call('GET', '/whoami', jar.cookie)).ok
  }
  followSession(socket, isLoggedIn, showLogin)
  return { socket, showLogin, jar }
}

const event = (socket: Socket, name: string) => new Promise((resolve) => socket.once(name, resolve))

describe('the Socket.IO recipe', () => {
  it('answers with the session as it is now, and leaves a room with the right to it', async () => {
    const { app, io } = await start()
    const cookie = await app.login('ada', 'admin')
    const { socket } = page(app, cookie)
    const [serverSide] = (await once(io, 'connection')) as [{ join(room: string): void; rooms: Set<string> }]
    serverSide.join('admins')
    expect(await socket.emitWithAck('whoami')).toBe('ada')
    const changes = once(app.bridge, 'change')
    await app.call('POST', '/set?key=role&value=guest', cookie)
    await changes
    expect(serverSide.rooms).not.toContain('admins')
    await app.call('POST', '/set?key=user&value=grace', cookie)
    expect(await socket.emitWithAck('whoami')).toBe('grace')
  })

  it('shows the login after a logout, and stops trying', async () => {
    const { app } = await start()
    const cookie = await app.login('ada')
    const { socket, showLogin } = page(app, cookie)
    await event(socket, 'connect')
    const shown = new Promise((resolve) => showLogin.mockImplementation(resolve as () => void))
    await app.call('POST', '/logout', cookie)
    await shown
    expect(socket.active).toBe(false)
    expect(app.refusals.at(-1)).toMatchObject({ reason: 'no-session' })
  })

  it('gets in by itself with the cookie of a login that regenerated the session', async () => {
    const { app } = await start()
    const cookie = await app.login('ada')
    const { socket, showLogin, jar } = page(app, cookie)
    await event(socket, 'connect')
    const again = event(socket, 'disconnect').then(() => event(socket, 'connect'))
    jar.renewed = app.call('POST', '/regenerate?name=grace', cookie).then((response) => {
      jar.cookie = cookieOf(response)
      socket.io.opts.extraHeaders = { cookie: jar.cookie }
    })
    await again
    expect(await socket.emitWithAck('whoami')).toBe('grace')
    expect(showLogin).not.toHaveBeenCalled()
  })
})
