/*
 * Logging in, editing the session and logging out over HTTP, with plain express-session: nothing here knows of WebSockets.
 */
import { Router } from 'express'

declare module 'express-session' {
  interface SessionData {
    user?: string
    role?: string
    note?: string
    loggedInAt?: number
  }
}

const roles = ['visitor', 'admin']
const longestName = 40
const longestNote = 80
const aboutNames = `A name has 1 to ${longestName} characters.`

/** `GET /me`, `POST /login` and `POST /session` with `{ name, role, note }`, `POST /logout`. */
export function sessionRoutes(cookieName: string): Router {
  const routes = Router()

  // A page asks this before it opens its socket, and when it was refused: a script cannot read a WebSocket's HTTP status.
  routes.get('/me', (request, response) => {
    response.set('Cache-Control', 'no-store').json({ user: request.session.user ?? null })
  })

  routes.post('/login', (request, response, next) => {
    const { name, role = 'visitor' } = fieldsIn(request.body)
    if (name === undefined) return response.status(400).json({ error: aboutNames })
    // A new session ID at every login, so that an ID planted beforehand is worth nothing.
    return request.session.regenerate((error) => {
      if (error) return next(error)
      request.session.user = name
      // Your app has checked a password by now, and looks the role up. Here one may choose it.
      request.session.role = role
      request.session.loggedInAt = Date.now()
      response.json({ user: name })
    })
  })

  // The sockets of this session read the new values from now on.
  routes.post('/session', (request, response) => {
    if (request.session.user === undefined) return response.status(401).json({ error: 'Not logged in.' })
    const { name, role, note } = fieldsIn(request.body)
    if (name === undefined) return response.status(400).json({ error: aboutNames })
    request.session.user = name
    if (role !== undefined) request.session.role = role
    if (note !== undefined) request.session.note = note
    return response.json({ user: request.session.user })
  })

  // And here they are closed with 4401, in all tabs.
  routes.post('/logout', (request, response, next) => {
    request.session.destroy((error) => {
      if (error) return next(error)
      response.clearCookie(cookieName).json({ user: null })
    })
  })

  return routes
}

/* What is valid in a body that a client sent. */
function fieldsIn(body: unknown): { name?: string; role?: string; note?: string } {
  const { name, role, note } = (body ?? {}) as Record<string, unknown>
  const [newName, newNote] = [trimmed(name), trimmed(note)]
  return {
    ...(newName && newName.length <= longestName && { name: newName }),
    ...(typeof role === 'string' && roles.includes(role) && { role }),
    ...(newNote !== undefined && newNote.length <= longestNote && { note: newNote }),
  }
}

function trimmed(value: unknown): string | undefined {
  return typeof value === 'string' ? value.trim() : undefined
}
