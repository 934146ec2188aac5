/*
 * The door `ws-session-bridge/socket.io`: Socket.IO connections that know who is logged in.
 */
export { attachSocketIO } from './socket.io/attach.js'
export type { SocketData, SocketIOServer } from './socket.io/attach.js'
