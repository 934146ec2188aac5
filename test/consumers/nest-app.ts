// an adapter whose gateways get their sockets from the bridge.
// #region docs
import type { INestApplicationContext } from '@nestjs/common'
import { WsAdapter } from '@nestjs/platform-ws'
import { WebSocketServer, type ServerOptions } from 'ws'
import type { SessionBridge, UpgradeServer } from 'ws-session-bridge'

/** `app.useWebSocketAdapter(new BridgedWsAdapter(app, bridge))` */
export class BridgedWsAdapter extends WsAdapter {
  readonly #bridge: SessionBridge

  constructor(app: INestApplicationContext, bridge: SessionBridge) {
    super(app)
    this.#bridge = bridge
  }

  override create(port: number, { path = '/', ...options }: ServerOptions = {}): WebSocketServer {
    if (port !== 0) throw new Error('A gateway behind the bridge has a path, and no port of its own.')
    const wss = new WebSocketServer({ ...options, noServer: true })
    // Nest takes 'chat' for '/chat'.
    this.#bridge.attach(this.httpServer as UpgradeServer, wss, { path: `/${path.replace(/^\//, '')}` })
    return wss
  }
}
// #endregion
