/*
 * Logging in and out over HTTP, with plain express-session: nothing here knows of WebSockets but the last line of logout.
 * In: HTTP requests. Out: a session with a name in it, or none.
 */
import { Router } from 'express'

import type { Chat } from './chat.js'

declare module 'express-session' {
  interface SessionData {
    user?: string
    loggedInAt?: number
  }
}

/** `GET /me`, `POST /login` with `{ name }`, `POST /logout`. */
export function sessionRoutes(chat: Chat): Router {
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

  routes.post('/logout', (request, response, next) => {
    const { sessionID } = request
    request.session.destroy((error) => {
      if (error) return next(error)
      chat.leave(sessionID)
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
