/* Look into a chosen checkpoint without sending it: its format, the network it fits, its inputs.
   Only headers are read, so that a file of any size is quick. The server decides; this fills in. */
"use strict";

const CheckpointFile = (() => {
  const LONGEST_HEADER = 2 ** 24;
  const LONGEST_LIST = 2 ** 16;
  const text = new TextDecoder();

  const bytesOf = async (file, start, end) =>
    new Uint8Array(await file.slice(start, Math.min(end, file.size)).arrayBuffer());

  /** Return what is known of the file, or null if it is no checkpoint. */
  async function inspect(file) {
    const head = await bytesOf(file, 0, 16);
    if (head.length > 8 && head[8] === 0x7b && head[5] === 0 && head[6] === 0 && head[7] === 0) {
      return inspectSafetensors(file, head);
    }
    // A file of torch.save, of either form: only the sandbox ever opens it.
    const isZip = head[0] === 0x50 && head[1] === 0x4b && head[2] === 3;
    const isOlder = head[0] === 0x80 && [0x8a, 0x0a, 0x6c, 0xfc, 0x9c].every((byte, at) => head[at + 2] === byte);
    if (isZip && (await holdsProgram(file))) return { format: "auto", isProgram: true };
    if (isZip || isOlder) return { format: "auto" };
    const graph = await findField(file, { start: 0, end: file.size }, 7).catch(() => null);
    if (!graph) return null;
    const inputs = await graphInputs(file, graph).catch(() => []);
    return { format: "onnx", inputs };
  }

  /** Say whether the list of names at the end of a zip file is that of TorchScript. */
  async function holdsProgram(file) {
    const tail = text.decode(await bytesOf(file, Math.max(0, file.size - LONGEST_LIST), file.size));
    return tail.includes("code/__torch__") || tail.includes("/constants.pkl");
  }

  // --- safetensors: eight bytes of length, then JSON with the names and shapes of the tensors ---
  async function inspectSafetensors(file, head) {
    const length = Number(new DataView(head.buffer).getBigUint64(0, true));
    const found = { format: "safetensors" };
    if (length > Math.min(LONGEST_HEADER, file.size - 8)) return found;
    try {
      const tensors = JSON.parse(text.decode(await bytesOf(file, 8, 8 + length)));
      return { ...found, ...recognize(tensors) };
    } catch {
      return found;
    }
  }

  function recognize(tensors) {
    const first = tensors["conv1.conv2d.weight"];
    if (first && tensors["deconv3.conv2d.weight"]) {
      return { architecture: "transformer_net", parameters: { width: first.shape[0] } };
    }
    const stem = tensors["model.1.weight"];
    if (stem && tensors["model.10.conv_block.1.weight"]) {
      const blocks = Object.keys(tensors).filter((key) => key.endsWith(".conv_block.1.weight"));
      return {
        architecture: "resnet_generator",
        parameters: { width: stem.shape[0], blocks: blocks.length },
      };
    }
    const outermost = tensors["model.model.0.weight"];
    if (outermost) {
      const halving = /^model\.model(\.\d\.model)*\.[01]\.weight$/;
      return {
        architecture: "unet_generator",
        parameters: {
          width: outermost.shape[0],
          downs: Object.keys(tensors).filter((key) => halving.test(key)).length,
          batch_norm: "model.model.0.bias" in tensors ? 0 : 1,
        },
      };
    }
    const encoder = tensors["encoder.2.weight"];
    if (encoder && tensors["decoder.28.weight"]) {
      return { architecture: "adain", parameters: { width: encoder.shape[0] } };
    }
    return {};
  }

  // --- ONNX: protobuf. A field is a tag, then a number or a length and so many bytes -----------
  async function graphInputs(file, graph) {
    const weights = new Set();
    const inputs = [];
    for await (const field of fieldsOf(file, graph)) {
      if (field.number === 5) {
        // An initializer: old exports list weights among the inputs too. Its name stands last.
        const name = await findField(file, field, 8);
        if (name) weights.add(text.decode(await bytesOf(file, name.start, name.end)));
      } else if (field.number === 11) {
        inputs.push(readInput(await bytesOf(file, field.start, field.end)));
      }
    }
    return inputs.filter((input) => !weights.has(input.name));
  }

  async function findField(file, range, number) {
    for await (const field of fieldsOf(file, range)) {
      if (field.number === number) return field;
    }
    return null;
  }

  /** Walk the fields between two places of the file, skipping over what they hold. */
  async function* fieldsOf(file, { start, end }) {
    let window = new Uint8Array();
    let offset = start; // where the window begins in the file
    let position = start;
    while (position < end) {
      if (position < offset || position + 24 > offset + window.length) {
        offset = position;
        window = await bytesOf(file, offset, Math.min(end, offset + 65536));
      }
      const [tag, afterTag] = varint(window, position - offset);
      const [value, after] = varint(window, afterTag);
      const wire = tag & 7;
      if (wire !== 0 && wire !== 2) throw new Error("not ONNX");
      const from = offset + after;
      const to = wire === 2 ? from + value : from;
      if (to > end) throw new Error("cut short");
      yield { number: tag >>> 3, start: from, end: to };
      position = to;
    }
  }

  function varint(bytes, at) {
    let value = 0;
    for (let shift = 1; at < bytes.length && shift < 2 ** 53; shift *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return [value, at];
    }
    throw new Error("cut short");
  }

  /** Read a ValueInfoProto: its name, and its sides where they are fixed. */
  function readInput(bytes) {
    const parts = fieldsIn(bytes);
    const name = parts.find((part) => part.number === 1);
    const sides = [2, 1, 2] // type, tensor type, shape
      .reduce((inner, number) => fieldsIn(inner.find((part) => part.number === number)?.bytes), parts)
      .filter((part) => part.number === 1)
      .map((part) => fieldsIn(part.bytes).find((side) => side.number === 1)?.value ?? null);
    return { name: name ? text.decode(name.bytes) : "", height: sides[2], width: sides[3] };
  }

  function fieldsIn(bytes = new Uint8Array()) {
    const found = [];
    for (let position = 0; position < bytes.length; ) {
      const [tag, afterTag] = varint(bytes, position);
      const [value, after] = varint(bytes, afterTag);
      position = (tag & 7) === 2 ? after + value : after;
      found.push({ number: tag >>> 3, value, bytes: bytes.subarray(after, position) });
    }
    return found;
  }

  return { inspect };
})();
