import express from 'express'
import expressWs from 'express-ws'
import { expect } from 'vitest'
import { open } from '../support/client.js'
import { hiddenServer } from './hidden-server.js'
import { testSharedServer, type Join } from './shared-server.js'

const join: Join = ({ server }) => {
  // #region docs
  const { app: routes, getWss } = expressWs(express(), hiddenServer(server, '/feed'))
  routes.ws('/feed', (ws) => ws.send('feed'))
  // #endregion
  return {
    async useSocket(wsUrl) {
      expect(await (await open(`${wsUrl}/feed`)).next()).toBe('feed')
    },
    close() {
      for (const ws of getWss().clients) ws.terminate()
    },
  }
}

testSharedServer('express-ws on a hidden server', join)
