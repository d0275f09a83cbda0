/**
 * KVM by kvm_intel, on Bochs's processor with VMX: slower than QEMU's TCG, but it hands exceptions and debug registers over as
 * hardware does. The disks of the nested machine, one job a boot. Debian: bochs, bochsbios, vgabios, isolinux, syslinux-common, xorriso.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeProjectDisk, mountProject, prepare, shellQuote } from '../../../scripts/nested/image.mjs';
import { BOCHS_BIOS, BOCHS_VGA_BIOS, runBochsConfig } from '../cpu/bochs.ts';
import { root } from '../guests/programs.ts';

/** Its models with SVM leave DR6 as it was when they hand a #DB to the hypervisor, which then cannot tell a step from the guest's own. */
const MODEL = 'corei7_skylake_x';
/**
 * What Bochs 2.7 does not do as Linux needs it: its XSAVE family loses state (Node ended in wrong values), the HPET stands still.
 * And nothing is to be measured against a clock that goes by instructions.
 */
const COMMAND_LINE = 'nested=ata earlyprintk=serial,ttyS0,115200 console=ttyS0,115200 quiet mitigations=off panic=-1 nokaslr noxsave hpet=disable lpj=1000000 tsc_early_khz=80000 no_timer_check tsc=reliable';
const IPS = 80_000_000;
const HEADS = 16;
const PER_TRACK = 63;
const SECTOR = 512;

/**
 * Runs a shell script in the checkout's directory; `take`: host paths to bring along. What it wrote to /run/out, by name, beside
 * `status`, `stdout` and `stderr`.
 */
export async function runOnBochs(script: string, { take, seconds }: { take: readonly string[]; seconds: number }): Promise<Map<string, string>> {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-bochs-kvm-'));
  try {
    const parts = prepare();
    const project = join(dir, 'project');
    const job = join(dir, 'job');
    // The paths to mount are known before the disk is made: they go into the script on it.
    const mount = mountProject('/dev/sdb', [root, ...take]);
    writeFileSync(job, `export VMM_ROOT=${shellQuote(root)}\n${mount} && cd ${shellQuote(root)} || exit 125\n${script}\n`);
    makeProjectDisk(project, [...take, { host: job, guest: '/job' }]);
    const serial = [0, 1].map((port) => join(dir, `serial${port}`));
    for (const path of serial) writeFileSync(path, '');
    const hard = (path: string): string => `type=disk, path="${path}", mode=flat, cylinders=${Math.floor(statSync(path).size / SECTOR / HEADS / PER_TRACK)}, heads=${HEADS}, spt=${PER_TRACK}`;
    // The root disk is the nested machine's own: nobody writes to it.
    symlinkSync(parts.rootDisk, join(dir, 'root'));
    const log = join(dir, 'log');
    await runBochsConfig(dir, `megs: 1536
romimage: file=${BOCHS_BIOS}
vgaromimage: file=${BOCHS_VGA_BIOS}
cpu: model=${MODEL}, count=1, ips=${IPS}, ignore_bad_msrs=1, reset_on_triple_fault=0
clock: sync=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: ${hard(join(dir, 'root'))}
ata0-slave: ${hard(project)}
ata1-master: type=cdrom, path="${bootDisc(dir, parts)}", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="${serial[0]}"
com2: enabled=1, mode=file, dev="${serial[1]}"
log: "${log}"
`, seconds);
    const out = join(dir, 'out');
    mkdirSync(out);
    const packed = join(dir, 'out.tar.gz');
    writeFileSync(packed, Buffer.from(readFileSync(serial[1] as string, 'latin1'), 'base64'));
    try {
      execFileSync('tar', ['-xzf', packed, '-C', out]);
    } catch {
      const last = (path: string): string => readFileSync(path, 'latin1').slice(-3000);
      throw new Error(`Bochs gave no result; its console ends with\n${last(serial[0] as string)}\nits log ends with\n${last(log)}`);
    }
    return new Map(readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'latin1')]));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A CD that boots kernel and initramfs. */
function bootDisc(dir: string, { kernel, initrd }: { readonly kernel: string; readonly initrd: string }): string {
  const tree = join(dir, 'iso');
  mkdirSync(join(tree, 'isolinux'), { recursive: true });
  copyFileSync(kernel, join(tree, 'vmlinuz'));
  copyFileSync(initrd, join(tree, 'initrd'));
  copyFileSync('/usr/lib/ISOLINUX/isolinux.bin', join(tree, 'isolinux', 'isolinux.bin'));
  copyFileSync('/usr/lib/syslinux/modules/bios/ldlinux.c32', join(tree, 'isolinux', 'ldlinux.c32'));
  writeFileSync(join(tree, 'isolinux', 'isolinux.cfg'), `default linux\nlabel linux\n kernel /vmlinuz\n append initrd=/initrd ${COMMAND_LINE}\n`);
  const disc = join(dir, 'boot.iso');
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-o', disc, '-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table', tree], { stdio: 'ignore' });
  return disc;
}
