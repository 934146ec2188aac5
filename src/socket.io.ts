/**
 * Socket.IO connections that know who is logged in.
 *
 * @module ws-session-bridge/socket.io
 */
export { attachSocketIO } from './socket.io/attach.js'
export type { SocketData, SocketIOServer } from './socket.io/attach.js'
