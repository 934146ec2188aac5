import { once } from 'node:events'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { atEnd } from '../support/at-end.js'
import { describeStore } from './store-contract.js'

const require = createRequire(import.meta.url)

describeStore('connect-dynamodb', {
  async server() {
    const dynalite = require('dynalite') as (options: { createTableMs: number }) => Server
    const server = dynalite({ createTableMs: 0 })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(() => server.close())
    return (server.address() as AddressInfo).port
  },
  // It counts from the whole second before.
  earlyMs: 1_000,
})
