// the bridge behind an upgrade listener and a route of the app itself.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { startApp } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { open, refused } from '../support/client.js'
import { listen } from './own-upgrade-listener.js'

it('lets an upgrade in by a listener of the app, and tells over HTTP who is logged in', async () => {
  const { bridge, login } = await startApp()
  const app = express()
  const server = createServer(app)
  listen(server, app, bridge, new WebSocketServer({ noServer: true }))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`

  const cookie = await login('Ada')
  await open(`ws://${address}/rooms/1`, { cookie })
  expect(bridge.stats().sockets).toBe(1)
  expect((await refused(`ws://${address}/rooms/1`)).status).toBe(401)
  await expect(open(`ws://${address}/elsewhere`, { cookie })).rejects.toThrow()

  const whoami = await fetch(`http://${address}/whoami`, { headers: { cookie } })
  expect(await whoami.json()).toEqual({ user: 'Ada' })
  expect((await fetch(`http://${address}/whoami`)).status).toBe(401)
})
