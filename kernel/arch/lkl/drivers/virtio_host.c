// SPDX-License-Identifier: GPL-2.0
/*
 * Virtio devices that the host implements. Rings are ordinary split rings in
 * linear memory; everything else is a call to the host.
 */

#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/workqueue.h>
#include <asm/host.h>

#define QUEUE_ALIGN	4096

struct host_device {
	struct virtio_device vdev;
	int index;
};

#define to_host_device(v) container_of(v, struct host_device, vdev)

/* By the host's index. Written by plug() alone, under plug_lock. */
static struct host_device *devices[LKL_VIRTIO_DEVICES];

/* Start-up and the work may plug at once: a probe of the one sleeps. */
static DEFINE_MUTEX(plug_lock);

static struct platform_device *bus;

static u64 host_get_features(struct virtio_device *vdev)
{
	int index = to_host_device(vdev)->index;

	return lkl_virtio_features(index, 0) |
	       (u64)lkl_virtio_features(index, 1) << 32;
}

static int host_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	lkl_virtio_accept(to_host_device(vdev)->index,
			  vdev->features, vdev->features >> 32);
	return 0;
}

static void host_get(struct virtio_device *vdev, unsigned int offset,
		     void *buf, unsigned int len)
{
	lkl_virtio_config_read(to_host_device(vdev)->index, offset, buf, len);
}

static void host_set(struct virtio_device *vdev, unsigned int offset,
		     const void *buf, unsigned int len)
{
	lkl_virtio_config_write(to_host_device(vdev)->index, offset, buf, len);
}

static u8 host_get_status(struct virtio_device *vdev)
{
	return lkl_virtio_status_get(to_host_device(vdev)->index);
}

static void host_set_status(struct virtio_device *vdev, u8 status)
{
	lkl_virtio_status_set(to_host_device(vdev)->index, status);
}

static void host_reset(struct virtio_device *vdev)
{
	lkl_virtio_status_set(to_host_device(vdev)->index, 0);
}

static bool host_notify(struct virtqueue *vq)
{
	lkl_virtio_notify(to_host_device(vq->vdev)->index, vq->index);
	return true;
}

static void host_del_vqs(struct virtio_device *vdev)
{
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		vring_del_virtqueue(vq);
}

static struct virtqueue *host_setup_vq(struct virtio_device *vdev, int queue,
				       struct virtqueue_info *info)
{
	int index = to_host_device(vdev)->index;
	unsigned int size = lkl_virtio_queue_max(index, queue);
	struct virtqueue *vq;

	if (!size)
		return ERR_PTR(-ENOENT);
	vq = vring_create_virtqueue(queue, size, QUEUE_ALIGN, vdev, true, true,
				    info->ctx, host_notify, info->callback,
				    info->name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	lkl_virtio_queue(index, queue, virtqueue_get_vring_size(vq),
			 (void *)(unsigned long)virtqueue_get_desc_addr(vq),
			 (void *)(unsigned long)virtqueue_get_avail_addr(vq),
			 (void *)(unsigned long)virtqueue_get_used_addr(vq));
	return vq;
}

static int host_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
			 struct virtqueue *vqs[],
			 struct virtqueue_info vqs_info[],
			 struct irq_affinity *desc)
{
	int i, queue = 0;

	for (i = 0; i < nvqs; i++) {
		if (!vqs_info[i].name) {
			vqs[i] = NULL;
			continue;
		}
		vqs[i] = host_setup_vq(vdev, queue++, &vqs_info[i]);
		if (IS_ERR(vqs[i])) {
			host_del_vqs(vdev);
			return PTR_ERR(vqs[i]);
		}
	}
	return 0;
}

static const char *host_bus_name(struct virtio_device *vdev)
{
	return "host";
}

static const struct virtio_config_ops host_config_ops = {
	.get			= host_get,
	.set			= host_set,
	.get_status		= host_get_status,
	.set_status		= host_set_status,
	.reset			= host_reset,
	.find_vqs		= host_find_vqs,
	.del_vqs		= host_del_vqs,
	.get_features		= host_get_features,
	.finalize_features	= host_finalize_features,
	.bus_name		= host_bus_name,
};

static void release_device(struct device *dev)
{
	kfree(to_host_device(dev_to_virtio(dev)));
}

static int add_device(int index, int id)
{
	struct host_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return -ENOMEM;
	dev->index = index;
	dev->vdev.id.device = id;
	dev->vdev.id.vendor = 0x4c4b4c;
	dev->vdev.dev.parent = &bus->dev;
	dev->vdev.dev.release = release_device;
	dev->vdev.config = &host_config_ops;
	/* Early: the driver may use the device while it probes. */
	WRITE_ONCE(devices[index], dev);
	err = register_virtio_device(&dev->vdev);
	if (err) {
		WRITE_ONCE(devices[index], NULL);
		put_device(&dev->vdev.dev);
	}
	return err;
}

/*
 * The device was pulled. Until the driver has let go of it, the host answers
 * every request with an error, so nothing waits for ever.
 */
static void remove_device(int index)
{
	struct host_device *dev = devices[index];

	get_device(&dev->vdev.dev);
	unregister_virtio_device(&dev->vdev);
	WRITE_ONCE(devices[index], NULL);
	put_device(&dev->vdev.dev);
	lkl_virtio_gone(index);
}

static void plug(struct work_struct *unused)
{
	int index, id, err;

	mutex_lock(&plug_lock);
	/* All of them, in order: the host takes the next one as a sign that the last is done. */
	for (index = 0; index < LKL_VIRTIO_DEVICES; index++) {
		id = lkl_virtio_id(index);
		if (!id && devices[index])
			remove_device(index);
		if (!id || devices[index])
			continue;
		err = add_device(index, id);
		if (err)
			pr_err("virtio-host: device %d: error %d\n", index, err);
	}
	mutex_unlock(&plug_lock);
}

static DECLARE_WORK(plug_work, plug);

static irqreturn_t virtio_interrupt(int irq, void *unused)
{
	struct host_device *dev;
	struct virtqueue *vq;
	int event;

	while ((event = lkl_virtio_next()) >= 0) {
		dev = READ_ONCE(devices[event >> 2]);
		switch (event & 3) {
		case LKL_VIRTIO_USED:
			if (!dev || !dev->vdev.vqs.next)
				break;
			list_for_each_entry(vq, &dev->vdev.vqs, list)
				vring_interrupt(irq, vq);
			break;
		case LKL_VIRTIO_CONFIG:
			if (dev)
				virtio_config_changed(&dev->vdev);
			break;
		case LKL_VIRTIO_PLUG:
			schedule_work(&plug_work);
			break;
		}
	}
	return IRQ_HANDLED;
}

static int __init init_bus(void)
{
	int err;

	bus = platform_device_register_simple("virtio-host", -1, NULL, 0);
	if (IS_ERR(bus))
		return PTR_ERR(bus);
	err = request_irq(LKL_IRQ_VIRTIO, virtio_interrupt, 0, "virtio", NULL);
	if (err)
		return err;
	plug(NULL);
	return 0;
}
subsys_initcall_sync(init_bus);
