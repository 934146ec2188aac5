import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { startShared, testSharedServer, type Join } from './shared-server.js'
import { useVite } from './vite-app.js'

const joinVite: Join = async ({ app, server }) => {
  const vite = await useVite(app, server, await emptySite())
  return {
    async useSocket(wsUrl) {
      // It asks pages for a token, which are those that send an Origin.
      const client = await open(wsUrl, { protocols: 'vite-hmr' })
      expect(JSON.parse(await client.next())).toEqual({ type: 'connected' })
    },
    close: () => vite.close(),
  }
}

/** A folder with one page. */
async function emptySite(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ws-session-bridge-vite-'))
  atEnd(() => rm(root, { recursive: true }))
  await writeFile(join(root, 'index.html'), '<!doctype html><title>A page</title>')
  return root
}

testSharedServer('Vite in middleware mode', joinVite)

describe('a mount without a path beside Vite', () => {
  it('is a fault at its first upgrade, once, that names the way out', async () => {
    const { wsUrl, cookie, faults } = await startShared(joinVite, { mount: {} })
    await (await open(`${wsUrl}/anything`, { cookie })).next()
    await (await open(`${wsUrl}/anything`, { cookie })).next()
    expect(faults).toHaveLength(1)
    expect(faults[0]!.message).toMatch(/path/)
  })
})
