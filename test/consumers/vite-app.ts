// Vite in middleware mode, with its HMR on the server of the app.
// #region docs
import type { Server } from 'node:http'
import type { Express } from 'express'
import { createServer as createViteServer, type ViteDevServer } from 'vite'

/** HMR comes over the app's own server: Vite takes the upgrades whose subprotocol is its own. */
export async function useVite(app: Express, server: Server, root: string): Promise<ViteDevServer> {
  const vite = await createViteServer({ root, server: { middlewareMode: true, hmr: { server } } })
  app.use(vite.middlewares)
  return vite
}
// #endregion
