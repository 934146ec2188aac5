/*
 * Logging in and out over HTTP, with plain express-session: nothing here knows of WebSockets.
 * In: HTTP requests. Out: a session with a name in it, or none.
 */
import { Router } from 'express'

declare module 'express-session' {
  interface SessionData {
    user?: string
    loggedInAt?: number
  }
}

/** `GET /me`, `POST /login` and `POST /name` with `{ name }`, `POST /logout`. */
export function sessionRoutes(): Router {
  const routes = Router()

  // A page asks this before it opens its socket, and when it was refused: a script cannot read a WebSocket's HTTP status.
  routes.get('/me', (request, response) => {
    response.set('Cache-Control', 'no-store').json({ user: request.session.user ?? null })
  })

  routes.post('/login', (request, response, next) => {
    const user = nameIn(request.body)
    if (user === undefined) return response.status(400).json({ error: 'A name has 1 to 40 characters.' })
    // A new session ID at every login, so that an ID planted beforehand is worth nothing.
    return request.session.regenerate((error) => {
      if (error) return next(error)
      request.session.user = user
      request.session.loggedInAt = Date.now()
      response.json({ user })
    })
  })

  // The sockets of this session read the new name from now on.
  routes.post('/name', (request, response) => {
    const user = nameIn(request.body)
    if (request.session.user === undefined) return response.status(401).json({ error: 'Not logged in.' })
    if (user === undefined) return response.status(400).json({ error: 'A name has 1 to 40 characters.' })
    request.session.user = user
    return response.json({ user })
  })

  // And here they are closed with 4401, in all tabs.
  routes.post('/logout', (request, response, next) => {
    request.session.destroy((error) => {
      if (error) return next(error)
      response.json({ user: null })
    })
  })

  return routes
}

function nameIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('name' in body) || typeof body.name !== 'string') return undefined
  const name = body.name.trim()
  return name.length >= 1 && name.length <= 40 ? name : undefined
}
