// the HTTP status that came back.
import { rawRequest, upgradeRequest, type UpgradeRequestOptions } from '../support/raw-request.js'

/** 101 where the request was let in; its socket is cut at once. */
export async function statusOf({ port }: { port: number }, options?: UpgradeRequestOptions): Promise<number> {
  const { socket, receivedUntil } = rawRequest(port, upgradeRequest(options))
  const head = await receivedUntil('\r\n\r\n')
  socket.destroy()
  return Number(head.split(' ')[1])
}
