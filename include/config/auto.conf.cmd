autoconfig := include/config/auto.conf

deps_config := \
	Kconfig \
	drivers/vfio/Kconfig.iova_bitmap \
	drivers/vfio/mock/Kconfig \
	drivers/iommu/mock/Kconfig \

$(autoconfig): $(deps_config)
$(deps_config): ;
