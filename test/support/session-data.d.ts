// What the tests keep in a session.
import 'express-session'

declare module 'express-session' {
  interface SessionData {
    user?: string
    account?: string
    role?: string
    views?: number
    since?: Date
    cart?: { items: { name: string; added: Date }[] }
    tenant?: string & { readonly __brand: 'tenant' }
  }
}
