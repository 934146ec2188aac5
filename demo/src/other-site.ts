/*
 * A site that is not the demo's: the same machine, another port, and so another origin. Its page tries to open a socket as the
 * user who visits it. Browsers send the cookie along, since all ports of a host share their cookies.
 */
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'

import express from 'express'

const pages = fileURLToPath(new URL('../other-site', import.meta.url))

export function createOtherSite(): Server {
  const app = express()
  app.disable('x-powered-by')
  app.use(express.static(pages))
  return createServer(app)
}
