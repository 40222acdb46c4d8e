/*
 * Automatically generated file; DO NOT EDIT.
 * Dirty tracking of device DMA
 */
#define CONFIG_IOVA_BITMAP 1
