/* Zydis's view of many instructions at once, for the decoder's tests.
   zydis-decode 16|32|64 records|sweep < bytes > results
   records: one instruction every 16 bytes; sweep: one behind the other, a byte further where none is valid.
   A result, 40 bytes: u32 offset, u8 length (0: invalid), u8 memory operand, u8 base, u8 index (0..15, 16 none, 17 RIP), u8 scale,
   u8 immediates, u8 segment (0 ES … 5 GS), u8 address bytes, i32 0, i64 displacement, u64 immediate, char[8] ISA set. */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct result {
  uint32_t offset;
  uint8_t length, memory, base, index, scale, immediates, segment, address;
  int32_t zero;
  int64_t disp;
  uint64_t imm;
  char isa[8];
} __attribute__((packed));

static uint8_t number(ZydisRegister r) {
  if (r == ZYDIS_REGISTER_NONE) return 16;
  if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP) return 17;
  return (uint8_t)ZydisRegisterGetId(r);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int bits = atoi(argv[1]), sweep = !strcmp(argv[2], "sweep");
  size_t room = 1 << 20, size = 0, n;
  uint8_t *p = malloc(room);
  while ((n = fread(p + size, 1, room - size, stdin)) > 0)
    if ((size += n) == room) p = realloc(p, room *= 2);
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64 : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                   bits == 64 ? ZYDIS_STACK_WIDTH_64 : bits == 32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
  for (size_t at = 0; at < size;) {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    struct result r = {.offset = (uint32_t)at, .base = 16, .index = 16};
    size_t left = size - at;
    if (!sweep && left > 16) left = 16;
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p + at, left, &in, ops))) {
      r.length = in.length;
      r.address = in.address_width / 8;
      const char *isa = ZydisISASetGetString(in.meta.isa_set);
      for (int i = 0; i < 8 && isa[i]; i++) r.isa[i] = isa[i];
      for (int i = 0; i < in.operand_count_visible; i++) {
        if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && in.raw.modrm.offset && ops[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
          r.memory = 1;
          r.base = number(ops[i].mem.base);
          r.index = number(ops[i].mem.index);
          r.scale = ops[i].mem.scale;
          r.segment = (uint8_t)ZydisRegisterGetId(ops[i].mem.segment);
          r.disp = in.raw.disp.size ? in.raw.disp.value : 0;
        }
      }
      r.immediates = (in.raw.imm[0].size != 0) + (in.raw.imm[1].size != 0);
      r.imm = in.raw.imm[0].value.u;
    }
    fwrite(&r, sizeof r, 1, stdout);
    at += sweep ? (r.length ? r.length : 1) : 16;
  }
  return 0;
}
