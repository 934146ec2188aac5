import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { open, refused } from '../support/client.js'
import { hiddenServer } from './hidden-server.js'
import { startShared, testSharedServer, type Join } from './shared-server.js'

const join: Join = ({ server }) => {
  // #region docs
  const feed = new WebSocketServer({ server: hiddenServer(server, '/feed'), path: '/feed' })
  // #endregion
  return serving(feed)
}

function serving(feed: WebSocketServer) {
  feed.on('connection', (ws) => {
    ws.send('feed')
  })
  return {
    async useSocket(wsUrl: string) {
      expect(await (await open(`${wsUrl}/feed?page=1`)).next()).toBe('feed')
    },
    async close() {
      for (const ws of feed.clients) ws.terminate()
      feed.close()
    },
  }
}

testSharedServer('a ws server with a path, on a hidden server', join)

describe('a ws server that listens for upgrades itself', () => {
  const joinItself: Join = ({ server }) => serving(new WebSocketServer({ server, path: '/feed' }))

  it('writes its 400 to the sockets of the bridge: a fault says so, once, and names the way out', async () => {
    const { wsUrl, cookie, faults, refusals } = await startShared(joinItself, {
      order: 'bridge last',
      bridge: { authorize: () => new Promise((resolve) => setImmediate(resolve, true)) },
    })
    expect((await refused(`${wsUrl}/chat`, { cookie })).status).toBe(400)
    expect((await refused(`${wsUrl}/chat`, { cookie })).status).toBe(400)
    await expect.poll(() => refusals.map(({ reason }) => reason)).toEqual(['answered-elsewhere', 'answered-elsewhere'])
    expect(faults).toHaveLength(1)
    expect(faults[0]!.message).toMatch(/upgrade listener/)
  })
})
