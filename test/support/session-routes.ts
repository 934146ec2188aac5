// their session, read and changed as an app would.
import { Router, type Request, type Response } from 'express'

/** `POST /login?name&role`, `GET /me`, `POST /set?key&value`, `POST /logout`, `POST /regenerate?name`. */
export function sessionRoutes(): Router {
  const routes = Router()

  routes.post('/login', (request, response) => {
    identify(request)
    answer(request, response)
  })

  routes.get('/me', answer)

  routes.post('/set', (request, response) => {
    Object.assign(request.session, { [query(request, 'key') ?? 'value']: query(request, 'value') })
    answer(request, response)
  })

  routes.post('/logout', (request, response, next) => {
    request.session.destroy((error: unknown) => {
      if (error) next(error)
      else response.json({})
    })
  })

  routes.post('/regenerate', (request, response, next) => {
    request.session.regenerate((error: unknown) => {
      if (error) {
        next(error)
        return
      }
      identify(request)
      answer(request, response)
    })
  })

  return routes
}

function identify(request: Request): void {
  const name = query(request, 'name')
  const role = query(request, 'role')
  if (name !== undefined) request.session.user = name
  if (role !== undefined) request.session.role = role
}

function answer(request: Request, response: Response): void {
  const { cookie, ...data } = request.session
  response.json(data)
}

function query(request: Request, name: string): string | undefined {
  const value = request.query[name]
  return typeof value === 'string' ? value : undefined
}
