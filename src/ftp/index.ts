// Volumes of a kernel, served by FTP.
export type { FtpListener, FtpNet, FtpSocket } from "./net.ts";
export type { FtpHost, FtpIdentity, FtpOptions, FtpTls, FtpUser } from "./options.ts";
export { FtpServer, serveFtp } from "./server.ts";
export type { FtpSession } from "./server.ts";
