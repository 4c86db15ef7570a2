// A chat server as people write it on Node.js: rooms of two on socket.io, every message a document in MongoDB, durable
// before it is acked and delivered. How it is stored and between how many processes it is shared, the environment says.

import { createServer } from "node:http";

import { createAdapter } from "@socket.io/redis-adapter";
import { MongoClient, ObjectId } from "mongodb";
import { createClient } from "redis";
import { Server } from "socket.io";

import { GroupCommit } from "./group_commit.js";

const { DATABASE, MONGODB_URI, PORT, REDIS_URL, STORE } = process.env;

const client = await MongoClient.connect(MONGODB_URI, { writeConcern: { w: "majority", journal: true } });
const messages = client.db(DATABASE).collection("messages");
await messages.createIndex({ room: 1, at: 1 });

const group = new GroupCommit(messages);
const store = STORE === "group" ? (message) => group.add(message) : (message) => messages.insertOne(message);

const http = createServer();
const io = new Server(http, { transports: ["websocket"] });
if (REDIS_URL) {
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber, { key: DATABASE }));
}

const guests = io.of("/guest");
const heads = new Map();

guests.on("connection", (socket) => {
  const { room, party } = socket.handshake.auth;
  socket.join(room);
  socket.on("message", async ({ text, client_id }, ack) => {
    const seq = (heads.get(room) ?? 0) + 1;
    heads.set(room, seq);
    const message = { _id: new ObjectId(), room, seq, at: new Date(), from: party, text, client_id };
    try {
      await store(message);
    } catch {
      ack({ ok: false });
      return;
    }
    ack({ ok: true, seq, id: message._id });
    guests.to(room).emit("entry", {
      feed: room,
      seq,
      id: message._id,
      at: message.at,
      type: "message",
      data: { from: party, text, client_id },
    });
  });
});

http.listen(Number(PORT), "127.0.0.1");
